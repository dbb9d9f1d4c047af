"""Reads for pages, reports and decisions. Nothing here writes."""
