from tests.people import _static, acme, alex, rita, rival, world

__all__ = ["_static", "acme", "alex", "rita", "rival", "world"]
