"""The paper's figures and those beyond it, one file per figure."""
