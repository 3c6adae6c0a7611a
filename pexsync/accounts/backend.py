"""Who a session belongs to. Signing in happens at PEX, so nothing is checked against a password here."""

from django.contrib.auth.backends import BaseBackend

from pexsync.accounts.models import User


class PexBackend(BaseBackend):
    def get_user(self, user_id: int) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()
