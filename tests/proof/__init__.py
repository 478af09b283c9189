"""The proof: every fault that is known of, kills and random histories, against the real flows in this process."""
