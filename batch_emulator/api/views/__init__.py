"""Resources as the service writes them: from the model to JSON, in the recorded order."""
