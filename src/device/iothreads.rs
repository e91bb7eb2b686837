//! `<iothreads>` of a `<driver>`: which I/O thread serves which queues of a disk or a controller.

use crate::bind::model;

model! {
    /// `<queue>` of an `<iothread>`.
    pub struct Queue = "queue" {
        need id: u32 = "id",
    }
}

model! {
    /// `<iothread id='…'>` of a device: the queues that a thread serves.
    pub struct ThreadQueues = "iothread" {
        need id: u32 = "id",
        many queues: Queue,
    }
}
