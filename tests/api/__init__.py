"""The API as staff's programs meet it: requests against the whole application, its edge included."""
