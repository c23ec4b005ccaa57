"""The ProofGraph: nodes, the rules that append them, and the trees over them."""
