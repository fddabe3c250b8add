//! A root file system for containers: busybox, and nothing else.

use crate::World;

/// What busybox is called in it.
const APPLETS: [&str; 9] = ["sh", "sleep", "ping", "ip", "nc", "httpd", "wget", "cat", "true"];

impl World {
    /// Makes it, at `rootfs`.
    #[track_caller]
    pub fn rootfs(&self) {
        let root = self.path("rootfs");
        let made = || -> std::io::Result<()> {
            for dir in ["bin", "proc", "dev", "sys", "tmp", "etc", "run", "www"] {
                std::fs::create_dir_all(root.join(dir))?;
            }
            let places = ["/bin/busybox", "/usr/bin/busybox"];
            let busybox = places.into_iter().find(|path| std::path::Path::new(path).exists());
            std::fs::copy(busybox.unwrap_or("no busybox-static"), root.join("bin/busybox"))?;
            for name in APPLETS {
                std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
            }
            std::fs::write(root.join("www/hello"), "hello from the wharf")
        };
        if let Err(error) = made() {
            panic!("{}: {error}", root.display());
        }
    }
}
