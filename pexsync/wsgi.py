"""The product as a WSGI application; `gunicorn pexsync.wsgi` serves it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pexsync.settings")

application = get_wsgi_application()
