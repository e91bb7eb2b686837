//! Every output is accepted by the program that reads it, and says there what the Plan says.

mod apparmor;
mod depfile;
mod devices;
mod golden;
mod hostile;
mod plans;
mod selinux;
mod systemd;
mod tools;
