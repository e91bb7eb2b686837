//! The compiler as a module of WebAssembly. A page writes a question into the memory that [`question`] gives, calls
//! [`answer`], and reads what it left; both are JSON (`virtc::explorer::live`).
//!
//! It needs no glue that is generated: three functions and the memory. They have to keep their names, which is why this crate
//! may say `unsafe`, and why it is apart from virtc, which may not: a name could be taken already. It says nothing else of
//! the kind.

use std::cell::RefCell;
use virtc::explorer::live;

thread_local! {
    /// What was asked, then what was answered. A module of WebAssembly has one thread.
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Makes room for a question of this many bytes of UTF-8; gives where.
#[unsafe(no_mangle)]
pub extern "C" fn question(length: usize) -> *mut u8 {
    TEXT.with_borrow_mut(|text| {
        text.clear();
        text.resize(length, 0);
        text.as_mut_ptr()
    })
}

/// Answers the question; gives how long the answer is. It is where [`text`] says, until the next question.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> usize {
    TEXT.with_borrow_mut(|text| {
        *text = live::answer(&String::from_utf8_lossy(text)).into_bytes();
        text.len()
    })
}

/// Where the answer is.
#[unsafe(no_mangle)]
pub extern "C" fn text() -> *const u8 {
    TEXT.with_borrow(|text| text.as_ptr())
}
