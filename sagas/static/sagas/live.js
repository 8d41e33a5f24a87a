// Keeps the parts of a page that change up to date.
