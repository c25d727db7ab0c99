"""Tables, transactions and keys. What is written here is the only memory that Bạn Đường has."""
