"""config.yml and secrets -> the SMS provider."""

from typing import TYPE_CHECKING

from pydantic import SecretStr

from bot.config import Config
from bot.errors import ConfigError

if TYPE_CHECKING:
    from bot.channels.sms import SmsProvider


def sms_provider(config: Config) -> "SmsProvider | None":
    """The one that config.yml names. Each comes with its library when it is used."""
    sms = config.bot.sms
    if sms.provider == "twilio" and sms.twilio:
        from bot.channels.sms_twilio import TwilioSms

        token = _needed(config.secrets.twilio_token, "BANDUONG_TWILIO_TOKEN")
        return TwilioSms(
            sms.twilio.account, token, sms.twilio.sender, api=sms.twilio.api, webhook=sms.webhook,
            two_way=sms.twilio.two_way, needs_template=sms.twilio.needs_template, country=sms.country,
        )  # fmt: skip
    if sms.provider == "android" and sms.android:
        from bot.channels.sms_android import AndroidSms

        return AndroidSms(
            sms.android.user,
            _needed(config.secrets.android_password, "BANDUONG_ANDROID_PASSWORD"),
            signing_key=_needed(config.secrets.android_signing_key, "BANDUONG_ANDROID_SIGNING_KEY"),
            api=sms.android.api, webhook=sms.webhook, sim=sms.android.sim, country=sms.country,
        )  # fmt: skip
    if sms.provider == "smpp" and sms.smpp:
        from bot.channels.sms_smpp import SmppSms

        password = _needed(config.secrets.smpp_password, "BANDUONG_SMPP_PASSWORD")
        smpp = sms.smpp
        return SmppSms(
            smpp.host, smpp.port, smpp.user, password, sender=smpp.sender, system_type=smpp.system_type,
            tls=smpp.tls, window=smpp.window, country=sms.country,
        )  # fmt: skip
    return None


def _needed(secret: SecretStr | None, variable: str) -> str:
    if secret is None:
        raise ConfigError(f"{variable} is not set: config.yml names an SMS provider that needs it (docs/deployer.md).")
    return secret.get_secret_value()
