"""The six gates, one file each, in the order of the seeds: freeze, context, identity, egress, threat, delegation."""
