//! Ports that the XML leaves open: the machines of one host get different ones.
//!
//! A unit holds what was chosen when it was made. The runner looks for a free port at each start.

use crate::plan::{ArgValue, AutoPort, Listen, Plan};

/// Moves open ports that another machine has to the next that nobody has. By name, so that the order of the files does not
/// matter. Those of machines that are there already stay.
pub fn spread(plans: &mut [&mut Plan], there: &[&Plan]) {
    let mut taken: Vec<Listen> = plans.iter().flat_map(|p| p.listens.iter().cloned()).collect();
    for plan in there {
        taken.extend(plan.listens.iter().cloned());
        taken.extend(plan.auto_ports.iter().map(|auto| listen(auto, auto.port)));
    }
    let mut order: Vec<usize> = (0..plans.len()).collect();
    order.sort_by(|a, b| plans[*a].name.cmp(&plans[*b].name));
    for at in order {
        move_ports(plans[at], &mut taken);
    }
}

/// An open port, as a machine that listens there.
fn listen(auto: &AutoPort, port: u16) -> Listen {
    let address = auto.address.clone().unwrap_or_else(|| "0.0.0.0".to_string());
    Listen { process: "qemu".to_string(), address, port, udp: false, cause: auto.cause.clone() }
}

fn move_ports(plan: &mut Plan, taken: &mut Vec<Listen>) {
    for auto in &mut plan.auto_ports {
        let is_free = |port: &u16| !taken.iter().any(|other| other.collides(&listen(auto, *port)));
        let Some(port) = (auto.port..=u16::MAX).find(is_free) else { continue };
        taken.push(listen(auto, port));
        let qemu = plan.processes.iter_mut().flat_map(|p| &mut p.args).filter(|a| a.switch == auto.switch);
        for arg in qemu {
            if let ArgValue::Props(props, _) = &mut arg.value
                && props.get(&auto.key).is_some()
            {
                props.replace(auto.key.clone(), port);
            }
        }
        auto.port = port;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Arg, Cause, Form, Process, Props, Role};

    fn machine(name: &str) -> Plan {
        let mut props = Props::with("port", 5900u32);
        props.set("addr", "127.0.0.1");
        let args = vec![Arg::props("-spice", props, Form::Options, Cause::default())];
        let auto = AutoPort {
            switch: "-spice".into(),
            key: "port".into(),
            address: Some("127.0.0.1".to_string()),
            port: 5900,
            cause: Cause::default(),
        };
        let processes = vec![Process { role: Role::Qemu, args, ..Process::default() }];
        Plan { name: name.to_string(), processes, auto_ports: vec![auto], ..Plan::default() }
    }

    #[test]
    fn each_machine_gets_its_own() {
        let (mut b, mut a, mut fixed) = (machine("b"), machine("a"), machine("c"));
        fixed.auto_ports.clear();
        fixed.listens.extend(Listen::tcp("qemu", "127.0.0.1", 5900, Cause::default()));
        spread(&mut [&mut b, &mut a, &mut fixed], &[]);
        assert_eq!((a.auto_ports[0].port, b.auto_ports[0].port), (5901, 5902));
        let text = format!("{:?}", b.processes[0].args);
        assert!(text.contains("5902") && !text.contains("5900"), "{text}");
        // What an earlier build has given stays where it is.
        let mut late = machine("0");
        spread(&mut [&mut late], &[&a, &b]);
        assert_eq!(late.auto_ports[0].port, 5900);
        let mut later = machine("1");
        spread(&mut [&mut later], &[&a, &b, &late]);
        assert_eq!(later.auto_ports[0].port, 5903);
    }
}
