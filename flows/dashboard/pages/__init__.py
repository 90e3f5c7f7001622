"""One module per page behind one small interface: `pages.page.Page`. What is in `PAGES` is in the menu."""
