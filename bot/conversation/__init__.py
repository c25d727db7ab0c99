"""(Conversation, InboundMessage, Understanding) -> Turn. Pure: no clock, disk or network."""
