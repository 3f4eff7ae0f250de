"""From report.json to report.html."""
