//! VC05xx: network interfaces.
super::codes! {
    /// Codes of network interfaces.
    network {
        NO_NETWORK = "VC0501" "unknown-network" "The host facts hold no network of this name, so virtc cannot know which bridge the interface joins. Add a `network` node to the host facts, or name the bridge itself.\n\nbefore: <interface type='network'><source network='office'/></interface>\nafter:  <interface type='bridge'><source bridge='br0'/></interface>";
        NOT_FOR_TYPE = "VC0502" "not-for-this-type" "An element or attribute of `<interface>` means nothing for this type of interface, and QEMU could not be told about it.\n\nbefore: <interface type='user'><portForward proto='tcp'/></interface>\nafter:  <interface type='user'><backend type='passt'/><portForward proto='tcp'/></interface>";
        QUEUE_SIZE = "VC0503" "queue-size" "virtio queues have a size that is a power of two: 256, 512, 1024.\n\nbefore: <driver rx_queue_size='300'/>\nafter:  <driver rx_queue_size='512'/>";
        BAD_NAME = "VC0504" "interface-name" "The kernel takes names of network interfaces of at most 15 bytes, without '/', ':' and blanks.\n\nbefore: <target dev='my network interface'/>\nafter:  <target dev='mynet0'/>";
        SHARED_MEMORY = "VC0505" "shared-memory" "A vhost-user backend reads and writes the guest's memory itself, so that the memory must be shared with it.\n\nbefore: <interface type='vhostuser'>…</interface>\nafter:  <memoryBacking><access mode='shared'/></memoryBacking> … <interface type='vhostuser'>…</interface>";
        INCOMPLETE = "VC0506" "incomplete-interface" "An interface, or its virtual port, does not say all that its type calls for.\n\nbefore: <interface type='bridge'><source/></interface>\nafter:  <interface type='bridge'><source bridge='br0'/></interface>";
        LOW_PORT = "VC1805" "low-port" "passt of a machine of a user's own listens as that user, who may not take ports below 1024. A machine of the system gives its passt the right to.\n\nbefore: <range start='80'/>\nafter:  <range start='8080' to='80'/>";
        DHCP = "VC1802" "dhcp-range" "The addresses that a network of the host facts gives to machines have to be of the network itself: it needs an IPv4 address, and both ends of the range lie in its subnet.\n\nbefore: network \"lan\" { address \"10.1.0.1/24\"; dhcp first=\"10.2.0.2\" last=\"10.2.0.99\" }\nafter:  network \"lan\" { address \"10.1.0.1/24\"; dhcp first=\"10.1.0.2\" last=\"10.1.0.99\" }";
        ADDRESS = "VC0507" "interface-address" "An address, a prefix or a VLAN tag of an interface is not one, or cannot be given to the guest.\n\nbefore: <interface type='user'><ip address='10.0.2.300'/></interface>\nafter:  <interface type='user'><ip address='10.0.2.30'/></interface>";
    }
}
