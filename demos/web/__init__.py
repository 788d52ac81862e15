"""Pages that this machine's own server answers: who may speak to it, and what all pages share."""
