"""What passes between an OpenAI client and a model: read strictly, told again in HELM's own words."""
