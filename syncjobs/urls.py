"""Addresses of the syncs of one connector."""

from django.urls import path

from syncjobs import decisions, schedule, views

urlpatterns = [
    path("<slug:system>/sync", views.manage, name="manage"),
    path("<slug:system>/sync/start", views.start, name="sync-start"),
    path("<slug:system>/sync/live", views.live, name="sync-live"),
    path("<slug:system>/sync/late", views.send_late, name="send-late"),
    path("<slug:system>/sync/auto", schedule.auto_sync, name="auto-sync"),
    path("<slug:system>/sync/seen", schedule.notice_seen, name="notice-seen"),
    path("<slug:system>/history", views.history, name="history"),
    path("<slug:system>/transactions", views.rows, name="rows"),
    path("<slug:system>/transactions/decide", decisions.decide, name="decide"),
    path("<slug:system>/transactions/<int:row>", decisions.row, name="row"),
    path("<slug:system>/runs/<int:run>", views.results, name="results"),
    path("<slug:system>/runs/<int:run>/results.csv", views.results_csv, name="results-csv"),
    path("<slug:system>/runs/<int:run>/cancel", views.cancel, name="sync-cancel"),
    path("<slug:system>/runs/<int:run>/confirm", views.confirm, name="sync-confirm"),
]
