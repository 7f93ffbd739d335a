//! steadygrad for candle.
