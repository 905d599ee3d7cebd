"""The stages of adapters that others are stacked on or fused with."""
