"""Emails: compose a notification as an email, deliver the outbox, unsubscribe."""
