from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "pexsync.pages"
    label = "pages"

    def ready(self) -> None:
        """Templates read a connector's words off its class; Django would otherwise call the class it finds there."""
        from connectors.connector import Connector

        Connector.do_not_call_in_templates = True  # type: ignore[attr-defined]  # a mark Django looks for
