"""What two or more services need, written once. The kit never imports a service."""
