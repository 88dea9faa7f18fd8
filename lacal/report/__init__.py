"""Results of the verbs, rendered: `numbers` for JSON, `text` for the terminal."""
