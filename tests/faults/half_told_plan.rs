//! Kind 16: plans that say too little, steps that stop half-way.
