"""Addresses of the syncs of one connector."""

from django.urls import path

from syncjobs import bank_statement, decisions, preview_pages, schedule, tag_pages, views

urlpatterns = [
    path("<slug:system>/sync", views.manage, name="manage"),
    path("<slug:system>/sync/start", views.start, name="sync-start"),
    path("<slug:system>/sync/live", views.live, name="sync-live"),
    path("<slug:system>/sync/late", views.send_late, name="send-late"),
    path("<slug:system>/sync/auto", schedule.auto_sync, name="auto-sync"),
    path("<slug:system>/sync/seen", schedule.notice_seen, name="notice-seen"),
    path("<slug:system>/history", views.history, name="history"),
    path("<slug:system>/tags", tag_pages.tags, name="tags"),
    path("<slug:system>/tags/apply", tag_pages.apply_anyway, name="tags-apply"),
    path("<slug:system>/transactions", views.rows, name="rows"),
    path("<slug:system>/transactions/decide", decisions.decide, name="decide"),
    path("<slug:system>/transactions/<int:row>", decisions.row, name="row"),
    path("<slug:system>/transactions/<int:row>/receipts", decisions.send_receipt, name="send-receipt"),
    path("<slug:system>/statement", bank_statement.page, name="statement"),
    path("<slug:system>/statement.csv", bank_statement.as_csv, name="statement-csv"),
    path("<slug:system>/statement.ofx", bank_statement.as_ofx, name="statement-ofx"),
    path("<slug:system>/runs/<int:run>", views.results, name="results"),
    path("<slug:system>/runs/<int:run>/results.csv", views.results_csv, name="results-csv"),
    path("<slug:system>/runs/<int:run>/preview", preview_pages.page, name="preview"),
    path("<slug:system>/runs/<int:run>/preview.csv", preview_pages.sheet, name="preview-csv"),
    path("<slug:system>/runs/<int:run>/cancel", views.cancel, name="sync-cancel"),
    path("<slug:system>/runs/<int:run>/confirm", views.confirm, name="sync-confirm"),
]
