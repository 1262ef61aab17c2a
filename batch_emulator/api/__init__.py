"""The REST API's wire: requests and answers read and written, without engine or HTTP framework."""
