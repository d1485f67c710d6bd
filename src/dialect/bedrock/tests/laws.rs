//! What holds for any request, answer and stream.
