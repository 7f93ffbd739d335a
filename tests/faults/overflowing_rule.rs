//! Kind 6: nothing leaves a guard as *apply* with NaN or infinities inside.
