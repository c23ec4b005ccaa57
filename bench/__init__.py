"""What HELM costs, as ratios against a bare baseline of the same run, so that the figures hold on any machine."""
