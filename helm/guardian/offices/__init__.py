"""What follows the gates, one file each: effect, temporal, compliance, PEP, requirements, policy decision, budget."""
