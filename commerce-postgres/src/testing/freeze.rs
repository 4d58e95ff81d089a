//! Servers that hang: their processes are stopped, while the kernel goes on taking what is sent to them.

use std::{fs, io, process::Command};

use super::{Cluster, TestingError, file};

impl Cluster {
    /// Stops all of the server's processes, so that it takes connections and answers nothing.
    ///
    /// # Errors
    /// If they can't be found or stopped.
    pub fn freeze(&self) -> Result<(), TestingError> {
        // The parent first: it would notice what becomes of its children.
        let parent = self.postmaster()?;
        signal("STOP", &[parent])?;
        signal("STOP", &children(parent))
    }

    /// Stops the processes that serve connections at this moment; new connections work.
    ///
    /// # Errors
    /// If they can't be found or stopped.
    pub fn freeze_backends(&self) -> Result<(), TestingError> {
        let serves_somebody = |pid: &u32| {
            // `postgres: user database host state`, and of the server's own processes `postgres: walwriter`.
            let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let title = String::from_utf8_lossy(&title).replace('\0', " ");
            title.contains("idle") || title.trim_end().split(' ').count() >= 5
        };
        let backends: Vec<u32> = children(self.postmaster()?).into_iter().filter(serves_somebody).collect();
        signal("STOP", &backends)
    }

    /// Has all of them go on.
    ///
    /// # Errors
    /// If they can't be found.
    pub fn thaw(&self) -> Result<(), TestingError> {
        let parent = self.postmaster()?;
        signal("CONT", &children(parent))?;
        signal("CONT", &[parent])
    }

    fn postmaster(&self) -> Result<u32, TestingError> {
        let path = self.folder.join("postmaster.pid");
        let text = fs::read_to_string(&path).map_err(|error| file(&path, error))?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.ok_or_else(|| file(&path, io::ErrorKind::InvalidData.into()))
    }
}

/// Sends a signal; a process that has ended meanwhile is no error.
fn signal(name: &str, pids: &[u32]) -> Result<(), TestingError> {
    if !pids.is_empty() {
        let kill = Command::new("kill").arg(format!("-{name}")).args(pids.iter().map(u32::to_string)).output();
        kill.map_err(|error| TestingError::Program { program: "kill".to_owned(), detail: error.to_string() })?;
    }
    Ok(())
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name, which may hold anything: the state, then the parent.
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        rest.split(' ').nth(1).and_then(|id| id.parse().ok()) == Some(parent)
    })
    .collect()
}
