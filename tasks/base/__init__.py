"""What all else stands on, which knows neither Azure nor Prefect: time, secrets, texts, files."""
