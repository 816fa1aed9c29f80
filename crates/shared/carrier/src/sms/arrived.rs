//! Something that came in, and has to be answered.
//!
//! A gateway keeps what it has no answer for and sends it again. So the answer is for after the thing is durable here: whoever takes it out
//! says [`Arrived::accept`] then. Dropped without a word, the gateway is told to come again later. Both ways a thing can come twice, and
//! whoever stores it knows it by its id.

/// What the gateway is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is ours now.
    Done,
    /// Come again.
    Later,
}

/// Something that came in and was not answered yet.
pub struct Arrived<T> {
    item: Option<T>,
    answer: Option<Box<dyn FnOnce(Told) + Send>>,
}

impl<T> Arrived<T> {
    pub(crate) fn new(item: T, answer: impl FnOnce(Told) + Send + 'static) -> Self {
        Self { item: Some(item), answer: Some(Box::new(answer)) }
    }

    /// What came.
    #[must_use]
    pub fn item(&self) -> &T {
        self.item.as_ref().expect("an item is taken out only by `accept`, which consumes the value")
    }

    /// Says that it is durable here, and hands it out.
    #[must_use]
    pub fn accept(mut self) -> T {
        if let Some(answer) = self.answer.take() {
            answer(Told::Done);
        }
        self.item.take().expect("an item is taken out only here, and `self` is consumed")
    }

    /// The same arrival as another item, to be answered the same way.
    pub(crate) fn map<U>(mut self, change: impl FnOnce(T) -> U) -> Arrived<U> {
        let item = self.item.take().map(change);
        Arrived { item, answer: self.answer.take() }
    }
}

impl<T> Drop for Arrived<T> {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer(Told::Later);
        }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Arrived<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Arrived").field(&self.item).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_gateway_is_told_once_and_what_became_of_it() {
        let (tell, told) = mpsc::channel();
        let arrived = |tell: mpsc::Sender<Told>| Arrived::new(7, move |answer| tell.send(answer).unwrap());
        assert_eq!(arrived(tell.clone()).accept(), 7);
        drop(arrived(tell.clone()));
        assert_eq!(arrived(tell.clone()).map(|item| item + 1).accept(), 8);
        drop(arrived(tell).map(|item| item + 1));
        assert_eq!(told.iter().collect::<Vec<_>>(), [Told::Done, Told::Later, Told::Done, Told::Later]);
    }
}
