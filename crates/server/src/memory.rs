//! Memory of the process and of the machine.

use std::fs;

/// What a machine is taken to have that does not tell.
const UNKNOWN_MACHINE: u64 = 8 << 30;

/// Bytes that the process occupies; `None` where the system does not tell in a file.
#[must_use]
pub fn of_process() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Bytes of memory that this process may hope for: the machine's, or its control group's if that is less.
#[must_use]
pub fn of_machine() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| kibibytes(&text, "MemTotal:"));
    let group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
    .min();
    machine.unwrap_or(UNKNOWN_MACHINE).min(group.unwrap_or(u64::MAX))
}

fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc_files_are_read_in_kibibytes() {
        assert_eq!(
            kibibytes("VmPeak:\t  9 kB\nVmRSS:\t    1234 kB\n", "VmRSS:"),
            Some(1234 * 1024)
        );
        assert_eq!(kibibytes("VmRSS: much\n", "VmRSS:"), None);
        assert_eq!(kibibytes("", "VmRSS:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_occupies_some_but_not_all_of_the_machine() {
        let process = of_process().unwrap();
        assert!(process > 1 << 16 && process < of_machine(), "{process}");
    }
}
