"""Addresses of the way in and out. They stand before those that begin with a system's name."""

from django.urls import path

from pexsync.pages.sign_in import views

urlpatterns = [
    path("sign-in", views.sign_in, name="sign-in"),
    path("sign-in/pex", views.start_oauth, name="sign-in-pex"),
    path("sign-in/pex/callback", views.oauth_callback, name="sign-in-pex-callback"),
    path("sign-in/question", views.question, name="sign-in-question"),
    path("handle-pex-jwt", views.launch, name="handle-pex-jwt"),
    path("switch", views.switch_business, name="switch"),
    path("sign-out", views.sign_out, name="sign-out"),
]
