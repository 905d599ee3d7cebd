"""What is trained before the adapter of a task: adapters of a language and of entities."""
