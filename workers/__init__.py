"""What happens after the 200: draining, applying, sweeping, and the operator's commands."""
