"""booking/api"""
