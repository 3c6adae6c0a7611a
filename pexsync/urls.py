"""Every address of the product."""

from django.urls import include, path

from pexsync import health

urlpatterns = [
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("", include("pexsync.pages.sign_in.urls")),
    path("", include("pexsync.pages.urls")),
    path("", include("syncjobs.urls")),
]
