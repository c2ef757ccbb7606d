"""One file a wire protocol: what a reply predicts, which list it ranks, how a merged list is written back."""
