"""`make bench`: how fast, and in how much memory, beside what a user would otherwise pick; ratios within one run."""
