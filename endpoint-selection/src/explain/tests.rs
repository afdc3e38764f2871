//! What each of these holds is tested where it is used.
