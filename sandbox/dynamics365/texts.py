"""Messages of the API in another language: what is read by people differs, the code does not."""

GERMAN = {
    "Application_DialogException": "Die Anforderung wurde von der Anwendung abgelehnt.",
    "Application_FieldValidationException": "Der Wert eines Felds ist ungültig.",
    "Application_StringExceededLength": "Die Zeichenfolge überschreitet die zulässige Länge.",
    "Application_TooManyRequests": "Zu viele Anforderungen.",
    "Authentication_InvalidCredentials": "Der Server hat die Anmeldeinformationen des Clients abgelehnt.",
    "Authorization_RequestDenied": "Sie verfügen nicht über die erforderlichen Berechtigungen.",
    "BadRequest": "Die Anforderung ist ungültig.",
    "BadRequest_InvalidOperation": "Das Steuerelement ist schreibgeschützt.",
    "BadRequest_InvalidToken": "Das Etag fehlt oder ist ungültig.",
    "BadRequest_ResourceNotFound": "Die Ressource für das Segment wurde nicht gefunden.",
    "Internal_CompanyNotFound": "Das Unternehmen wurde nicht gefunden.",
    "Internal_EntityWithSameKeyExists": "Der Datensatz ist bereits vorhanden.",
    "Internal_InvalidTableRelation": "Der Wert ist in der verknüpften Tabelle nicht vorhanden.",
    "Internal_RecordNotFound": "Der Datensatz wurde nicht gefunden.",
    "Internal_ServerError": "Interner Serverfehler.",
    "Request_EntityChanged": "Ein anderer Benutzer hat den Datensatz geändert.",
}
LANGUAGES = {"de": GERMAN}


def in_language(code: str, message: str, accept: str) -> str:
    """Return the message in the first language asked for; what is not translated stays English."""
    language = accept.split(",")[0].split(";")[0].strip().split("-")[0].lower()
    return LANGUAGES.get(language, {}).get(code, message)
