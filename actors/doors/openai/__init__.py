"""The proxy between OpenAI clients and one upstream."""
