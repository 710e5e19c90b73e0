"""The lead-handoff agent that runs beside a CRM."""
