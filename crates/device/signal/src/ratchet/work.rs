//! Counts the derivations of both chains, so that tests say what a forged header costs without looking at a clock.

use core::cell::Cell;

std::thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// One step of a chain.
pub(crate) fn step() {
    STEPS.with(|steps| steps.set(steps.get() + 1));
}

/// The steps this thread's chains take while `action` runs.
pub(crate) fn during<T>(action: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.with(Cell::get);
    let result = action();
    (result, STEPS.with(Cell::get) - before)
}
