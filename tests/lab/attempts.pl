# What a process tries against another machine: its number, its name, the folder of the disks. A line each: `refused …`, or
# `OPEN …`. With a fourth word only what does no harm is tried, as a control by somebody who may.
use strict;
use Socket;
my ($pid, $name, $images, $harmless) = @ARGV;
my ($letter) = $name =~ /(.)$/;
my $run = "/run/virtc/$name";
my %tried;
my ($f, $g, $h, $m, $k, $c, $p, $d, $r, $x);
sub try { my ($what, $done) = @_; $tried{$what} = 1; print $done ? "OPEN $what\n" : "refused $what\n"; }
sub reads {
    open(my $own, '<', $_[0]) or return 0;
    return defined sysread($own, my $byte, 1);
}
# A folder that cannot be listed does not hide its sockets: their names are known.
for my $socket (qw(monitor control console)) {
    socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die;
    try("a connection to its $socket socket", connect($s, pack_sockaddr_un("$run/$socket.sock")));
}
try("reading its disk", reads("$images/$letter.img"));
try("reading its serial port's log", reads("$images/$letter.serial"));
try("listing its run-time folder", opendir($d, $run));
unless ($harmless) {
    try("writing its disk", open($f, '+<', "$images/$letter.img"));
    try("a file in its run-time folder", open($g, '>', "$run/planted"));
    try("removing its monitor", unlink("$run/monitor.sock"));
    try("changing its unit", open($h, '>>', "/usr/lib/systemd/system/virtc-$name.service"));
    try("changing its image's owner", chown($<, -1, "$images/$letter.img"));
    try("reading its memory by /proc", open($m, '<', "/proc/$pid/mem") && sysseek($m, 0x400000, 0) && sysread($m, $x, 1));
    try("reading its environment", reads("/proc/$pid/environ"));
    try("reading its map of memory", reads("/proc/$pid/maps"));
    try("its open files", readlink("/proc/$pid/fd/0"));
    try("its root folder", opendir($r, "/proc/$pid/root/"));
    # A question about a signal is as good as a signal.
    try("a signal", kill(0, $pid) && kill('TERM', $pid));
    try("stopping it", kill('STOP', $pid));
    try("a ptrace", syscall(101, 0x4206, $pid + 0, 0, 0) == 0);
    my ($to, $length) = (' ' x 8, 8);
    my ($local, $remote) = (pack('PQ', $to, $length), pack('QQ', 0x400000, $length));
    try("reading its memory", syscall(310, $pid + 0, $local, 1, $remote, 1, 0) > 0);
    my $handle = syscall(434, $pid + 0, 0);
    try("taking its descriptors", $handle >= 0 && syscall(438, $handle, 0, 0) >= 0);
    try("a signal by a handle", $handle >= 0 && syscall(424, $handle, 15, 0, 0) == 0);
    # What the kernel might write has to be a variable.
    my ($cpus, $none) = (pack('Q', 1), pack('QQ', 0, 0));
    try("its processor affinity", syscall(203, $pid + 0, 8, $cpus) == 0);
    try("its priority", syscall(141, 0, $pid + 0, 19) == 0);
    try("its priority of input and output", syscall(251, 1, $pid + 0, 3 << 13) == 0);
    try("its limits", syscall(302, $pid + 0, 4, $none, 0) == 0);
    my ($group) = map { /^0::(.*)/ ? $1 : () } do { open($c, '<', "/proc/$pid/cgroup") ? <$c> : () };
    $group //= "/machine.slice/virtc-$name.service";
    try("killing its control group", open($k, '>', "/sys/fs/cgroup$group/cgroup.kill") && syswrite($k, "1\n"));
    try("a file in the root folder", open($p, '>', '/planted'));
}
print scalar(keys %tried), " attempts\n";
